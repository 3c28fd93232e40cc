"""Toolchains that compile for another CPU with Debian's cross compilers."""

load(
    "@rules_cc//cc:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain.bzl", "cc_toolchain")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")

# The names that Bazel has for what a toolchain does.
_COMPILE = [
    "assemble",
    "c++-compile",
    "c++-header-parsing",
    "c++-module-codegen",
    "c++-module-compile",
    "c-compile",
    "preprocess-assemble",
]
_LINK = [
    "c++-link-dynamic-library",
    "c++-link-executable",
    "c++-link-nodeps-dynamic-library",
]

def _flags(actions, flags, **kwargs):
    return flag_set(actions = actions, flag_groups = [flag_group(flags = flags)], **kwargs)

def _cross_toolchain_config_impl(ctx):
    attr = ctx.attr
    tool_prefix = "/usr/bin/%s-" % attr.triple
    if attr.compiler == "clang":
        driver = "/usr/bin/clang++"
        target_flags = ["--target=" + attr.triple]

        # The linker of GCC's own cross toolchain, which Clang finds by the triple.
        compiler_flags = []
    else:
        driver = tool_prefix + "g++"
        target_flags = []
        compiler_flags = ["-fno-canonical-system-headers"]
    target_flags = target_flags + attr.target_flags
    programs = {"gcc": driver, "cpp": driver}
    for tool in ["ar", "dwp", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]:
        programs[tool] = tool_prefix + tool

    # What Bazel's own toolchain for Unix compiles and links with, so that a test of another CPU is
    # compiled as the same test is for this one.
    default_flags = feature(
        name = "default_flags",
        enabled = True,
        flag_sets = [
            _flags(_COMPILE, target_flags + compiler_flags + [
                "-U_FORTIFY_SOURCE",
                "-fno-omit-frame-pointer",
                "-fstack-protector",
                "-no-canonical-prefixes",
            ]),
            _flags(
                _COMPILE,
                ["-DNDEBUG", "-D_FORTIFY_SOURCE=1", "-O2", "-fdata-sections", "-ffunction-sections"],
                with_features = [with_feature_set(features = ["opt"])],
            ),
            _flags(
                _COMPILE,
                ["-g"],
                with_features = [with_feature_set(features = ["dbg"])],
            ),
            _flags(_LINK, target_flags + [
                "-no-canonical-prefixes",
                # An emulator would look for shared libraries of the CPU where those of this machine
                # lie, and hang or crash on what it finds.
                "-static",
                # GoogleTest can send its results elsewhere. A static C library warns of that at each
                # link, and no test of ours does it.
                "-Wl,--defsym=getaddrinfo=0,--defsym=freeaddrinfo=0",
            ]),
            _flags(
                _LINK,
                ["-Wl,--gc-sections"],
                with_features = [with_feature_set(features = ["opt"])],
            ),
        ],
    )

    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc",
        abi_version = "gnu",
        compiler = attr.compiler,
        cxx_builtin_include_directories = [
            "/usr/%s/include" % attr.triple,
            "/usr/include",
            "/usr/lib",
        ],
        features = [
            default_flags,
            feature(name = "dbg"),
            feature(name = "fastbuild"),
            feature(name = "opt"),
            # Static binaries need no code that may lie anywhere, so each file is compiled once.
            feature(name = "supports_pic", enabled = False),
        ],
        host_system_name = "local",
        target_cpu = attr.cpu,
        target_libc = "glibc",
        target_system_name = attr.triple,
        tool_paths = [tool_path(name = name, path = path) for name, path in programs.items()],
        toolchain_identifier = "%s-%s" % (attr.triple, attr.compiler),
    )

_cross_toolchain_config = rule(
    implementation = _cross_toolchain_config_impl,
    doc = "How one compiler is called for one target.",
    attrs = {
        "compiler": attr.string(doc = "The name of the compiler.", values = ["clang", "gcc"]),
        "cpu": attr.string(doc = "Bazel's name for the CPU."),
        "target_flags": attr.string_list(doc = "What selects the target besides the triple."),
        "triple": attr.string(doc = "The target, as GNU's tools name it."),
    },
    provides = [CcToolchainConfigInfo],
)

def cross_toolchain(name, triple, cpu, cpu_constraint, target_flags = []):
    """Declares the toolchains `<name>_gcc` and `<name>_clang` for Linux on another CPU.

    Binaries are linked statically. `.bazelrc` names the toolchains with --extra_toolchains, and
    bazelw installs what they call.

    Args:
      name: what the names begin with.
      triple: the target, as GNU's tools and Debian's packages name it.
      cpu: Bazel's name for the CPU.
      cpu_constraint: the constraint value of the CPU.
      target_flags: what selects the target besides the triple.
    """
    native.filegroup(name = name + "_no_files")
    for compiler in ["clang", "gcc"]:
        prefix = "%s_%s" % (name, compiler)
        _cross_toolchain_config(
            name = prefix + "_config",
            compiler = compiler,
            cpu = cpu,
            target_flags = target_flags,
            triple = triple,
        )
        files = ":%s_no_files" % name
        cc_toolchain(
            name = prefix + "_tools",
            all_files = files,
            compiler_files = files,
            dwp_files = files,
            linker_files = files,
            objcopy_files = files,
            strip_files = files,
            supports_param_files = True,
            toolchain_config = ":%s_config" % prefix,
        )
        native.toolchain(
            name = prefix,
            exec_compatible_with = ["@platforms//os:linux"],
            target_compatible_with = [
                cpu_constraint,
                "@platforms//os:linux",
            ],
            toolchain = ":%s_tools" % prefix,
            toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
        )
