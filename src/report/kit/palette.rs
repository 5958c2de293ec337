//! The colours of charts and page: Okabe and Ito's palette, which colour-blind readers can tell apart, in a
//! light and a dark variant.
//!
//! Pictures are drawn in the light colours. An SVG also carries a style sheet that repaints each light colour in
//! its dark variant if the reader's system prefers dark, so that one file serves both.
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
    /// Rejected jobs, and OPEN (vermillion).
    Alert,
    /// HALF_OPEN, and the second of three lines (orange).
    Caution,
    /// CLOSED and recovered (bluish green).
    Good,
    /// A limit (reddish purple).
    Limit,
    /// A step of the sequential scale, from 0 (low) to [`STEPS`] - 1 (high): light to dark blue on white paper, dark to
    /// light on dark paper. Lightness is monotonic, so that it also prints in grey.
    Step(u8),
}

/// Number of steps of the sequential scale.
pub(crate) const STEPS: u8 = 8;

const LIGHT_STEPS: [u32; STEPS as usize] =
    [0xD0_E1_F2, 0xB4_D2_E8, 0x94_C1_DF, 0x6B_AE_D6, 0x43_91_C6, 0x22_72_B6, 0x0B_50_95, 0x08_30_6B];

const DARK_STEPS: [u32; STEPS as usize] =
    [0x12_30_4F, 0x16_44_70, 0x1D_5A_91, 0x2A_71_AE, 0x40_89_C6, 0x64_A3_D8, 0x93_C1_E8, 0xCB_E3_F7];

impl Colour {
    const ROLES: [Colour; 9] = [
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

    fn all() -> impl Iterator<Item = Colour> {
        Self::ROLES.into_iter().chain((0..STEPS).map(Colour::Step))
    }

    /// The colour of text and lines on top of this one.
    pub(crate) fn contrasting(self) -> Colour {
        match self {
            Colour::Step(step) if step >= STEPS / 2 => Colour::Paper,
            _ => Colour::Ink,
        }
    }

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
            Colour::Step(step) => LIGHT_STEPS[usize::from(step.min(STEPS - 1))],
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
            Colour::Step(step) => DARK_STEPS[usize::from(step.min(STEPS - 1))],
        }
    }
}

/// The style sheet that repaints the shapes of a picture of class `class` for a dark screen.
pub(crate) fn dark_style_sheet(class: &str, shapes: &str) -> String {
    let mut css = String::from("@media screen and (prefers-color-scheme: dark) {\n");
    for colour in Colour::all() {
        let (light, dark) = (colour.light(), colour.dark());
        if !shapes.contains(&format!("#{light:06X}")) {
            continue;
        }
        for property in ["fill", "stroke"] {
            // Writing to a String does not fail.
            let _ = writeln!(css, ".{class} [{property}=\"#{light:06X}\"] {{ {property}: #{dark:06X} }}");
        }
    }
    css + "}\n"
}
