//! From colours to grey.

/// The grey of a pixel as TensorFlow's `rgb_to_grayscale` gives it for bytes: colours are scaled to 0..1, weighed
/// 0.2989, 0.5870 and 0.1140, scaled by 255.5 and cut to a whole number, all in single precision.
pub(crate) fn luminance(rgb: [u8; 3]) -> u8 {
    let [red, green, blue] = rgb.map(|colour| f32::from(colour) * (1.0 / 255.0));
    ((red * 0.2989 + green * 0.587 + blue * 0.114) * 255.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greys_by_hand() {
        // 0.2989 · 255.5 = 76.4, 0.587 · 255.5 = 150.0, 0.114 · 255.5 = 29.1
        for (rgb, grey) in [
            ([0, 0, 0], 0),
            ([255, 255, 255], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 149),
            ([0, 0, 255], 29),
            ([128, 128, 128], 128),
            ([1, 1, 1], 1),
        ] {
            assert_eq!(luminance(rgb), grey, "{rgb:?}");
        }
    }

    #[test]
    fn a_grey_pixel_keeps_its_value() {
        for grey in 0..=255 {
            assert_eq!(luminance([grey; 3]), grey);
        }
    }
}
