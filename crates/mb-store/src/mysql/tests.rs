//! What the contract suite cannot see from outside.
