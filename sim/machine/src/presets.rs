//! The machines compiled into the program, usable by name.

/// A machine description compiled into the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name for `--machine`.
    pub name: &'static str,
    /// The text of `configs/machines/NAME.ron`; the package reaches it through its link `machines`.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(Preset {
            name: $name,
            text: include_str!(concat!("../machines/", $name, ".ron")),
        }),*]
    };
}

/// Every preset; the first is the default.
pub const PRESETS: &[Preset] = presets![
    "default",
    "skylake",
    "ice-lake",
    "golden-cove",
    "zen2",
    "zen4",
    "zen5",
    "neoverse-n1",
    "cortex-a72",
    "champsim",
    "tiny",
];
