"""Repositories of installed files, so that a build needs no network."""

# The linker's library folders, on Debian and other distributions.
_LIBRARY_FOLDERS = [
    "/usr/lib/%s-linux-gnu" % cpu
    for cpu in ["x86_64", "i386", "aarch64", "riscv64"]
] + ["/usr/lib64", "/usr/lib"]

def require_installed(repository_ctx, probe, package):
    """Fails the build with a message if the path `probe` does not exist.

    Args:
      repository_ctx: the context of the repository that needs it.
      probe: an absolute path; empty to check nothing.
      package: the Debian package that contains it.
    """
    if probe and not repository_ctx.path(probe).exists:
        fail(("fringe: %s is missing: install the Debian package %s, " +
              "or declare your own repository named %s.") %
             (probe, package, repository_ctx.name))

def installed_libraries(repository_ctx, prefix):
    """Finds the shared libraries whose names begin with `lib` and `prefix`.

    Args:
      repository_ctx: the context of the repository.
      prefix: the part of the names after `lib`.

    Returns:
      their names without `lib`, as for the linker's `-l`, sorted.
    """
    found = {}
    for folder in _LIBRARY_FOLDERS:
        if not repository_ctx.path(folder).exists:
            continue
        for entry in repository_ctx.path(folder).readdir():
            name = entry.basename
            if name.startswith("lib" + prefix) and name.endswith(".so"):
                found[name[len("lib"):-len(".so")]] = True
    return sorted(found.keys())

def _system_repository_impl(repository_ctx):
    attr = repository_ctx.attr
    require_installed(repository_ctx, attr.probe, attr.package)
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name)
    if attr.tree:
        for entry in repository_ctx.path(attr.tree).readdir():
            repository_ctx.symlink(entry, entry.basename)
    for label, path in attr.files.items():
        repository_ctx.symlink(label, path)

system_repository = repository_rule(
    implementation = _system_repository_impl,
    doc = "A repository of files from fringe and, if `tree` is set, from an installed folder.",
    attrs = {
        "files": attr.label_keyed_string_dict(
            doc = "Files from fringe, each with its path in the repository.",
        ),
        "package": attr.string(doc = "The Debian package that contains `probe`."),
        "probe": attr.string(doc = "A path that must exist."),
        "tree": attr.string(doc = "An installed folder. Its entries are linked into the repository."),
    },
    local = True,
)
