"""A stand-in for rules_cc that re-exports the rules built into Bazel, under upstream's file names.

With Debian's Bazel 4 and no network, there is no rules_cc that loads. Users may load from this one
too: each name from its own file, and the rules from `cc/defs.bzl` as well.
"""

# The rules, by the folder of their upstream files.
_RULES = {
    "cc": [
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_test",
        "objc_import",
        "objc_library",
    ],
    "cc/toolchains": [
        "cc_toolchain",
        "cc_toolchain_suite",
        "fdo_prefetch_hints",
        "fdo_profile",
    ],
}

# Other built-in values, each with its upstream file.
_GLOBALS = {
    "CcInfo": "cc/common/cc_info.bzl",
    "CcToolchainConfigInfo": "cc/toolchains/cc_toolchain_config_info.bzl",
    "cc_common": "cc/common/cc_common.bzl",
}

_PACKAGE = """\
exports_files(glob(["**"]))
"""

# Upstream's file has the same functions as Bazel's.
_CONFIG_LIB = "cc/cc_toolchain_config_lib.bzl"
_CONFIG_FUNCTIONS = [
    "action_config",
    "artifact_name_pattern",
    "env_entry",
    "env_set",
    "feature",
    "feature_set",
    "flag_group",
    "flag_set",
    "make_variable",
    "tool",
    "tool_path",
    "variable_with_value",
    "with_feature_set",
]

def _native(rules):
    """Returns definitions of `rules` as Bazel's own."""
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules])

def _loaded(file, names):
    """Returns definitions of the values of `names`, which `file` defines under the keys."""
    return "".join(
        ["load(\"%s\", _%s = \"%s\")\n" % (file, there, there) for there in names] +
        ["%s = _%s\n" % (here, there) for there, here in names.items()],
    )

def _rules_cc_repository_impl(repository_ctx):
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    for package in ["cc", "cc/common", "cc/toolchains"]:
        repository_ctx.file(package + "/BUILD", _PACKAGE)
    for folder, rules in _RULES.items():
        for rule in rules:
            repository_ctx.file("%s/%s.bzl" % (folder, rule), _native([rule]))
    repository_ctx.file("cc/defs.bzl", _native(
        [rule for rules in _RULES.values() for rule in rules] + ["cc_proto_library"],
    ))

    # A file cannot define a name that it also uses, so there is another file in between.
    repository_ctx.file(
        "cc/common/globals.bzl",
        "".join(["built_in_%s = %s\n" % (name, name) for name in _GLOBALS]),
    )
    for name, path in _GLOBALS.items():
        repository_ctx.file(
            path,
            _loaded("//cc/common:globals.bzl", {"built_in_" + name: name}),
        )
    repository_ctx.file(_CONFIG_LIB, _loaded(
        "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
        {name: name for name in _CONFIG_FUNCTIONS},
    ))

rules_cc_repository = repository_rule(
    implementation = _rules_cc_repository_impl,
    doc = "The C++ rules built into Bazel, under the names of rules_cc.",
    local = True,
)
