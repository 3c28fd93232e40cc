"""The rule behind the settings in this folder."""

BoolSettingInfo = provider(doc = "What a `bool_setting` is set to.", fields = ["value"])

def _bool_setting_impl(ctx):
    return BoolSettingInfo(value = ctx.build_setting_value)

bool_setting = rule(
    implementation = _bool_setting_impl,
    build_setting = config.bool(flag = True),
    doc = "A setting that is on or off: `--//flags:name`, `--no//flags:name`.",
)
