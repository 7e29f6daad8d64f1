//! Tests of the searches, on programs small enough to try every schedule of.

mod asked;
mod brute_force;
mod counts;
mod pairs;
mod extremes;
mod program;
