"""`optional_libraries_repository` for MODULE.bazel. Bazel 4 has no extensions of modules."""

load(":optional_libraries.bzl", "optional_libraries_repository")

def _optional_libraries_impl(_module_ctx):
    optional_libraries_repository(name = "optional_libraries")

optional_libraries = module_extension(implementation = _optional_libraries_impl)
