"""The warnings for fringe's own code: each target has `copts = FRINGE_COPTS`."""

# GCC and Clang support all of these.
FRINGE_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wcast-align",
    "-Wcast-qual",
    "-Wconversion",
    "-Wdouble-promotion",
    "-Wextra-semi",
    "-Wformat=2",
    "-Wimplicit-fallthrough",
    "-Wnon-virtual-dtor",
    "-Wold-style-cast",
    "-Woverloaded-virtual",
    "-Wpedantic",
    "-Wshadow",
    "-Wsign-conversion",
    # FRINGE_ macros are always defined to 0 or 1, so `#if` on an undefined one is an error.
    "-Wundef",
    "-Wvla",
]

FRINGE_COPTS = FRINGE_WARNINGS + select({
    # Off for users: a new warning of a later compiler must not break their build.
    "//flags:warnings_are_errors_enabled": ["-Werror"],
    "//conditions:default": [],
})
