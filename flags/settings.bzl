"""The rules behind the settings in this folder."""

BoolSettingInfo = provider(doc = "The value of a `bool_setting`.", fields = ["value"])

StringSettingInfo = provider(doc = "The value of a `string_setting`.", fields = ["value"])

def _bool_setting_impl(ctx):
    return BoolSettingInfo(value = ctx.build_setting_value)

bool_setting = rule(
    implementation = _bool_setting_impl,
    build_setting = config.bool(flag = True),
    doc = "A setting that is on or off: `--@fringe//flags:name`, `--@fringe//flags:name=false`.",
)

def _string_setting_impl(ctx):
    value = ctx.build_setting_value
    if value not in ctx.attr.values:
        fail("{} cannot be '{}': it must be one of {}.".format(
            ctx.label,
            value,
            ", ".join(ctx.attr.values),
        ))
    return StringSettingInfo(value = value)

string_setting = rule(
    implementation = _string_setting_impl,
    attrs = {"values": attr.string_list(doc = "The allowed values.", mandatory = True)},
    build_setting = config.string(flag = True),
    doc = "A setting with one of several values: `--@fringe//flags:name=value`.",
)
