//! Misuses of Marlowe that must not compile, and the messages of the compiler for them.

#[test]
fn misuse_does_not_compile_and_the_message_helps() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/misuse/*.rs");
}
