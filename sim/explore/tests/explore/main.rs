//! Tests of the searches, on programs small enough to try every schedule of.

mod asked;
mod brute_force;
mod counts;
mod extremes;
mod program;
