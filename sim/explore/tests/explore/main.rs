//! Tests of the searches: on programs small enough to try every schedule of, and on the kernel's own paths against chance.

mod acts;
mod brute_force;
mod counts;
mod faults;
mod generate;
mod kernel;
mod program;
mod subjects;
