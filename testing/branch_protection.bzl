"""The flags that mark code for landing pads and shadow stacks."""

# Indirect branches must land on marked instructions. On AArch64, return addresses are signed too.
BRANCH_PROTECTION = select({
    "//platforms:aarch64": ["-mbranch-protection=standard"],
    "//platforms:x86": ["-fcf-protection=full"],
    "//platforms:x86_64": ["-fcf-protection=full"],
    "//conditions:default": [],
})
