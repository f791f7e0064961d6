//! A text as a QR code (ISO/IEC 18004), drawn as the path of an inline SVG.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Modules of quiet around a code.
const QUIET: usize = 4;

/// A code to draw.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// The side in modules, quiet zone included.
    pub(crate) side: usize,
    /// The dark modules as path data (SVG 2, section 9.3), made of letters, digits and signs.
    pub(crate) path: String,
}

/// Draws `text`; `None` if it is too long for a code.
pub(crate) fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::M).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET);
        }
    }
    Some(Drawing { side: width + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_corner_and_its_quiet_zone() {
        let drawing = draw("otpauth://totp/x?secret=ABC").expect("short enough");
        assert!(drawing.path.starts_with("M4 4h1v1h-1z"), "{}", &drawing.path[..20]);
        assert!(drawing.side >= 21 + 2 * QUIET && !drawing.path.contains('"'));
        assert!(draw(&"x".repeat(10_000)).is_none());
    }
}
