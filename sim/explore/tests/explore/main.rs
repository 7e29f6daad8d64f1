//! Tests of the searches: on programs small enough to try every schedule of, and on the kernel's own paths against chance.

mod acts;
mod asked;
mod brute_force;
mod counts;
mod extremes;
mod faults;
mod generate;
mod kept;
mod kernel;
mod pairs;
mod program;
mod states;
mod subjects;
