"""The rules behind the settings in this folder."""

BoolSettingInfo = provider(doc = "What a `bool_setting` is set to.", fields = ["value"])

StringSettingInfo = provider(doc = "What a `string_setting` is set to.", fields = ["value"])

def _bool_setting_impl(ctx):
    return BoolSettingInfo(value = ctx.build_setting_value)

bool_setting = rule(
    implementation = _bool_setting_impl,
    build_setting = config.bool(flag = True),
    doc = "A setting that is on or off: `--//flags:name`, `--no//flags:name`.",
)

def _string_setting_impl(ctx):
    value = ctx.build_setting_value
    if value not in ctx.attr.values:
        fail("{} cannot be '{}': it is one of {}.".format(
            ctx.label,
            value,
            ", ".join(ctx.attr.values),
        ))
    return StringSettingInfo(value = value)

string_setting = rule(
    implementation = _string_setting_impl,
    attrs = {"values": attr.string_list(doc = "What it can be.", mandatory = True)},
    build_setting = config.string(flag = True),
    doc = "A setting that is one of several words: `--//flags:name=word`.",
)
