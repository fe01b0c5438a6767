//! A model and a batch that none of our crates knows.

#[path = "../../examples/custom_head.rs"]
mod custom_head;

/// Ten steps, and five, a stop, and five more.
#[test]
fn the_example_of_a_custom_head_resumes_bit_for_bit() {
    custom_head::main().unwrap();
}
