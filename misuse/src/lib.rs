//! What must not compile in a program on Marlowe: see the tests.
