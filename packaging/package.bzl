"""The rule behind //:package."""

load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

_DEFAULT_STACK = str(Label("//flags:default_stack"))
_MALLOC = str(Label("//flags:malloc"))
_UNGUARDED = str(Label("//flags:unguarded_default_stack"))

def _package_transition_impl(_settings, _attr):
    return {
        _DEFAULT_STACK: str(Label("//stacks:os_stack")),
        _MALLOC: "system",
        _UNGUARDED: False,
    }

# Users of the package cannot set Bazel's flags, so every package has the same values.
_package_transition = transition(
    implementation = _package_transition_impl,
    inputs = [],
    outputs = [
        _DEFAULT_STACK,
        _MALLOC,
        _UNGUARDED,
    ],
)

def _path(file):
    """Returns the path of a file of fringe from its root, also if fringe is an external repository."""
    path = file.short_path
    return "/".join(path.split("/")[2:]) if path.startswith("../") else path

def _is_ours(ctx, label):
    return label.workspace_root == ctx.label.workspace_root

def _link(ctx, objects, flags, soname):
    """Links the shared library and returns it."""
    cc_toolchain = ctx.attr._cc_toolchain[cc_common.CcToolchainInfo]
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = cc_toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    linked = cc_common.link(
        name = ctx.label.name + "_parts/fringe",
        actions = ctx.actions,
        additional_inputs = [soname],
        cc_toolchain = cc_toolchain,
        compilation_outputs = cc_common.create_compilation_outputs(
            objects = depset(objects),
            pic_objects = depset(objects),
        ),
        feature_configuration = features,
        output_type = "dynamic_library",
        # The name contains the version, which is known only when files are read.
        user_link_flags = ["-Wl,@" + soname.path] + flags,
    )
    archiver = cc_common.get_tool_for_action(
        action_name = "c++-link-static-library",
        feature_configuration = features,
    )
    return linked.library_to_link.dynamic_library, archiver, cc_toolchain.all_files

def _fringe_package_impl(ctx):
    headers = []
    public = []
    objects = []
    flags = []
    defines = {}
    for dep in ctx.attr.deps:
        compilation = dep[CcInfo].compilation_context
        public += compilation.direct_public_headers
        headers.append(compilation.headers)
        defines.update({define: True for define in compilation.defines.to_list()})
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            # Other projects' libraries are not packed: users of the package must have them too.
            flags += [flag for flag in linker_input.user_link_flags if flag not in flags]
            if not _is_ours(ctx, linker_input.owner):
                continue
            for library in linker_input.libraries:
                if library.pic_objects == None:
                    fail("%s has no position-independent code: a shared library cannot contain it." % linker_input.owner)
                objects += [file for file in library.pic_objects if file not in objects]
    headers = [
        file
        for file in depset(transitive = headers).to_list()
        if _is_ours(ctx, file.owner)
    ]

    soname = ctx.actions.declare_file(ctx.label.name + "_parts/soname")
    ctx.actions.run(
        outputs = [soname],
        inputs = [ctx.file.module],
        executable = ctx.executable._tool,
        arguments = ["soname", ctx.file.module.path, soname.path],
        mnemonic = "FringeSoname",
        use_default_shell_env = True,
    )
    shared_library, archiver, cc_files = _link(ctx, objects, flags, soname)

    # A folder, because the archive's name is known only when the version has been read.
    folder = ctx.actions.declare_directory(ctx.label.name)
    others = ctx.files.documents + ctx.files.templates
    arguments = ctx.actions.args()
    arguments.add("archive")
    arguments.add(ctx.file.module)
    arguments.add(folder.path)
    arguments.add("--archiver", archiver)
    arguments.add("--shared", shared_library)
    arguments.add_all("--objects", objects)
    arguments.add_all("--defines", defines.keys())
    arguments.add_all("--documents", ctx.files.documents)
    arguments.add_all("--templates", ctx.files.templates)
    arguments.add_all("--public", [_path(file) for file in public], uniquify = True)
    arguments.add_all("--headers", [_path(file) + "=" + file.path for file in headers])
    ctx.actions.run(
        outputs = [folder],
        inputs = depset(
            [ctx.file.module, shared_library] + objects + headers + others,
            transitive = [cc_files],
        ),
        executable = ctx.executable._tool,
        arguments = [arguments],
        mnemonic = "FringePackage",
        progress_message = "Packing " + str(ctx.label),
        use_default_shell_env = True,
    )
    return DefaultInfo(files = depset([folder]), runfiles = ctx.runfiles([folder]))

fringe_package = rule(
    implementation = _fringe_package_impl,
    attrs = {
        "deps": attr.label_list(
            doc = "The libraries whose headers users include.",
            cfg = _package_transition,
            mandatory = True,
            providers = [CcInfo],
        ),
        "documents": attr.label_list(
            doc = "Documents for share/doc.",
            allow_files = True,
        ),
        "module": attr.label(
            doc = "MODULE.bazel, which contains the version.",
            allow_single_file = True,
            mandatory = True,
        ),
        "templates": attr.label_list(
            doc = "Files that describe the libraries to other build systems.",
            allow_files = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
        "_tool": attr.label(
            default = "//packaging:make_package.py",
            allow_single_file = True,
            cfg = "exec",
            executable = True,
        ),
        # All actions run on the platform of the rule. Bazel 4 cannot declare, for one action, that
        # its tool belongs to no toolchain.
        "_use_auto_exec_groups": attr.bool(default = False),
    },
    doc = "A folder with fringe-VERSION.tar.gz, for use without Bazel.",
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)
