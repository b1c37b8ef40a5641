//! Everything that is true of the whole: the walls between the crates, and four real processes.

mod architecture;
mod consortium;
mod durability;
mod faults;
mod refusals;
mod story;
