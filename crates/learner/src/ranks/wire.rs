//! In which form gradients travel between ranks.

use half::bf16;
use serde::{Deserialize, Serialize};

use super::transport::Message;

/// `ranks.wire`: in which form gradients travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// As they are, in single precision.
    #[default]
    F32,
    /// Rounded to `bf16`, with 8 bits of precision, each time they are sent: half the bytes. Sums are in single precision.
    Bf16,
}

impl Wire {
    /// Bytes of a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<bf16>(),
        }
    }

    /// Numbers as they are sent.
    pub(super) fn pack(self, numbers: &[f32]) -> Message {
        match self {
            Self::F32 => Message::Floats(numbers.to_vec()),
            Self::Bf16 => {
                let bits = numbers.iter().map(|number| bf16::from_f32(*number).to_bits());
                Message::Halves(bits.collect())
            }
        }
    }

    /// Numbers as they were sent, if the message has any.
    pub(super) fn unpack(message: Message) -> Option<Vec<f32>> {
        match message {
            Message::Words(_) => None,
            Message::Floats(numbers) => Some(numbers),
            Message::Halves(bits) => {
                Some(bits.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect())
            }
        }
    }

    /// Makes of numbers what the others get of them.
    pub(super) fn round(self, numbers: &mut [f32]) {
        if self == Self::Bf16 {
            for number in numbers {
                *number = bf16::from_f32(*number).to_f32();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed_as_the_wire_has_it() {
        let numbers = [1.0, -0.0, 1.003_906_3, f32::INFINITY, 3.389e38];
        for wire in [Wire::F32, Wire::Bf16] {
            let mut rounded = numbers;
            wire.round(&mut rounded);
            let found: [f32; 5] = Wire::unpack(wire.pack(&numbers)).unwrap().try_into().unwrap();
            assert_eq!(found.map(f32::to_bits), rounded.map(f32::to_bits), "{wire:?}");
        }
        let mut rounded = numbers;
        Wire::Bf16.round(&mut rounded);
        // Half of the last bit, to the even one.
        assert_eq!(rounded[2], 1.0);
        assert_eq!(Wire::unpack(Message::Words(vec![1])), None);
        let nan = Wire::unpack(Wire::Bf16.pack(&[f32::NAN])).unwrap();
        assert!(nan[0].is_nan());
    }
}
