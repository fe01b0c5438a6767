//! A model and a batch that none of our crates knows.

#[path = "../../examples/custom_head.rs"]
mod custom_head;

/// Ten steps, and five, a stop, and five more. Burn's own modules draw from the device's generator, which a process has once.
#[test]
fn the_example_of_a_custom_head_resumes_bit_for_bit() {
    if crate::is_alone("custom_model::the_example_of_a_custom_head_resumes_bit_for_bit") {
        custom_head::main().unwrap();
    }
}
