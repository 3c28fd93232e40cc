"""Toolchains for other CPUs and systems with Debian's cross compilers."""

load(
    "@rules_cc//cc:cc_toolchain_config_lib.bzl",
    "artifact_name_pattern",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain.bzl", "cc_toolchain")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")

# Bazel's names for the actions of a toolchain.
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

    # The folder in which a compiler is unpacked that is not installed, if any:
    # --define=fringe_cross_root=FOLDER.
    root = ctx.var.get("fringe_cross_root", "")
    tool_prefix = "%s/usr/bin/%s-" % (root, attr.triple)
    if attr.compiler == "clang":
        driver = "/usr/bin/clang++"
        target_flags = ["--target=" + attr.triple]

        # Clang finds the linker of GCC's cross toolchain by the triple.
        compiler_flags = []
    else:
        driver = tool_prefix + "g++" + attr.gcc_suffix
        target_flags = []
        compiler_flags = ["-fno-canonical-system-headers"]
    target_flags = target_flags + attr.target_flags
    programs = {"gcc": driver, "cpp": driver}
    for tool in ["ar", "dwp", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]:
        programs[tool] = tool_prefix + tool

    # The flags of Bazel's own toolchain for Unix, so that a test is compiled in the same way for
    # every CPU.
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
                # An emulator would look for the CPU's shared libraries in this machine's folders,
                # and hang or crash.
                "-static",
            ] + attr.link_flags),
            _flags(
                _LINK,
                ["-Wl,--gc-sections"],
                with_features = [with_feature_set(features = ["opt"])],
            ),
        ],
    )

    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = attr.libc,
        abi_version = "gnu",
        artifact_name_patterns = [
            artifact_name_pattern(
                category_name = "executable",
                prefix = "",
                extension = attr.executable_extension,
            ),
        ] if attr.executable_extension else [],
        compiler = attr.compiler,
        cxx_builtin_include_directories = [
            "%s/usr/%s/include" % (root, attr.triple),
            "/usr/include",
            root + "/usr/lib",
            "/usr/share/mingw-w64/include",
        ],
        features = [
            default_flags,
            feature(name = "dbg"),
            feature(name = "fastbuild"),
            feature(name = "opt"),
            # Static binaries need no position-independent code, so each file is compiled once.
            feature(name = "supports_pic", enabled = False),
        ],
        host_system_name = "local",
        target_cpu = attr.cpu,
        target_libc = attr.libc,
        target_system_name = attr.triple,
        tool_paths = [tool_path(name = name, path = path) for name, path in programs.items()],
        toolchain_identifier = "%s-%s" % (attr.triple, attr.compiler),
    )

_cross_toolchain_config = rule(
    implementation = _cross_toolchain_config_impl,
    doc = "The command line of one compiler for one target.",
    attrs = {
        "compiler": attr.string(doc = "The name of the compiler.", values = ["clang", "gcc"]),
        "cpu": attr.string(doc = "Bazel's name for the CPU."),
        "executable_extension": attr.string(doc = "How names of executables end."),
        "gcc_suffix": attr.string(doc = "How the name of GCC's driver ends."),
        "libc": attr.string(doc = "The C library."),
        "link_flags": attr.string_list(doc = "Flags of the linker, in addition to the triple."),
        "target_flags": attr.string_list(doc = "Flags that select the target, in addition to the triple."),
        "triple": attr.string(doc = "The target triple of the GNU tools."),
    },
    provides = [CcToolchainConfigInfo],
)

# GoogleTest can send its results over the network, which a static GNU C library warns of at each
# link. No test uses it.
_LINUX_LINK_FLAGS = ["-Wl,--defsym=getaddrinfo=0,--defsym=freeaddrinfo=0"]

def cross_toolchain(
        name,
        triple,
        cpu,
        cpu_constraint,
        target_flags = [],
        compilers = ["clang", "gcc"],
        executable_extension = "",
        gcc_suffix = "",
        libc = "glibc",
        link_flags = _LINUX_LINK_FLAGS,
        os_constraint = "@platforms//os:linux"):
    """Declares the toolchains `<name>_gcc` and `<name>_clang` for another CPU or system.

    Binaries are linked statically. `.bazelrc` selects the toolchains with --extra_toolchains, and
    bazelw installs the compilers.

    Args:
      name: the prefix of the names.
      triple: the target triple of the GNU tools and of Debian's packages.
      cpu: Bazel's name for the CPU.
      cpu_constraint: the constraint value of the CPU.
      target_flags: flags that select the target, in addition to the triple.
      compilers: which of the two toolchains to declare.
      executable_extension: how names of executables end.
      gcc_suffix: how the name of GCC's driver ends.
      libc: the C library.
      link_flags: flags of the linker, in addition to the triple.
      os_constraint: the constraint value of the system.
    """
    native.filegroup(name = name + "_no_files")
    for compiler in compilers:
        prefix = "%s_%s" % (name, compiler)
        _cross_toolchain_config(
            name = prefix + "_config",
            compiler = compiler,
            cpu = cpu,
            executable_extension = executable_extension,
            gcc_suffix = gcc_suffix,
            libc = libc,
            link_flags = link_flags,
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
                os_constraint,
            ],
            toolchain = ":%s_tools" % prefix,
            toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
        )
