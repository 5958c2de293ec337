//! The colours of charts and page: Okabe and Ito's palette, which colour-blind readers can tell apart, in a
//! light and a dark variant.
//!
//! Pictures are drawn in the light colours. An SVG also carries a style sheet that repaints each light colour in
//! its dark partner where the reader's system asks for it, so that one file serves both.
//! M. Okabe, K. Ito: Color Universal Design, 2008.

use std::fmt::Write;

/// A colour by its role, so that the dark variant is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Behind everything.
    Paper,
    /// Text and axes.
    Ink,
    /// Text of less weight.
    Faint,
    /// Grid lines.
    Grid,
    /// The main line of a chart (blue).
    Main,
    /// What was turned away, and OPEN (vermillion).
    Alert,
    /// HALF_OPEN, and the second of three lines (orange).
    Caution,
    /// CLOSED and recovered (bluish green).
    Good,
    /// A limit (reddish purple).
    Limit,
}

impl Colour {
    pub(crate) const ALL: [Colour; 9] = [
        Colour::Paper,
        Colour::Ink,
        Colour::Faint,
        Colour::Grid,
        Colour::Main,
        Colour::Alert,
        Colour::Caution,
        Colour::Good,
        Colour::Limit,
    ];

    /// Red, green and blue on white paper.
    pub(crate) fn light(self) -> u32 {
        match self {
            Colour::Paper => 0xFF_FF_FF,
            Colour::Ink => 0x24_29_2F,
            Colour::Faint => 0x57_60_6A,
            Colour::Grid => 0xD8_DE_E4,
            Colour::Main => 0x00_72_B2,
            Colour::Alert => 0xD5_5E_00,
            Colour::Caution => 0xE6_9F_00,
            Colour::Good => 0x00_9E_73,
            Colour::Limit => 0xA8_4A_80,
        }
    }

    /// Red, green and blue on dark paper.
    pub(crate) fn dark(self) -> u32 {
        match self {
            Colour::Paper => 0x0D_11_17,
            Colour::Ink => 0xE6_ED_F3,
            Colour::Faint => 0x9D_A7_B3,
            Colour::Grid => 0x30_36_3D,
            Colour::Main => 0x56_B4_E9,
            Colour::Alert => 0xFF_8A_3D,
            Colour::Caution => 0xF0_C0_40,
            Colour::Good => 0x2D_C7_97,
            Colour::Limit => 0xE0_96_C0,
        }
    }
}

/// The style sheet that repaints a picture of class `class` for a dark screen.
pub(crate) fn dark_style_sheet(class: &str) -> String {
    let mut css = String::from("@media screen and (prefers-color-scheme: dark) {\n");
    for colour in Colour::ALL {
        let (light, dark) = (colour.light(), colour.dark());
        for property in ["fill", "stroke"] {
            // Writing to a String does not fail.
            let _ = writeln!(css, ".{class} [{property}=\"#{light:06X}\"] {{ {property}: #{dark:06X} }}");
        }
    }
    css + "}\n"
}
