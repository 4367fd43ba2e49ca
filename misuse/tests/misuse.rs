//! What must not compile, and what the compiler then says.

#[test]
fn misuse_does_not_compile_and_the_compiler_says_what_to_write_instead() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/misuse/*.rs");
}
