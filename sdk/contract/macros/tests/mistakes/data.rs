#![allow(unused)]

use chancery_contract::{contract_type, event};

#[event]
pub struct Tuple(u64);

#[event]
pub enum Enum {
    One,
}

#[event]
pub struct Generic<T> {
    value: T,
}

#[event(topic = "other")]
pub struct Arguments {
    value: u64,
}

#[contract_type]
pub struct Unit;

#[contract_type]
pub struct Unnamed(u64);

#[contract_type]
#[allow(non_snake_case)]
pub struct Letters {
    Value: u64,
}

#[contract_type(packed)]
pub struct Packed {
    value: u64,
}

#[contract_type]
pub fn function() {}

fn main() {}
