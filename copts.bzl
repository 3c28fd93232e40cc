"""The warnings that fringe's own code is compiled with: `copts = FRINGE_COPTS` in each target."""

# Each is known to GCC and to Clang.
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
    # Macros of ours are 0 or 1, never absent (FRINGE_...), so `#if` of an unknown one is a slip.
    "-Wundef",
    "-Wvla",
]

FRINGE_COPTS = FRINGE_WARNINGS + select({
    # Not for users: a later compiler's new warning must not end their build.
    "//flags:warnings_are_errors_enabled": ["-Werror"],
    "//conditions:default": [],
})
