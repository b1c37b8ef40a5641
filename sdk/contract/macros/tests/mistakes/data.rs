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
pub struct Compact {
    #[codec(compact)]
    value: u64,
}

#[event]
pub struct Skipped {
    #[codec(skip)]
    value: u64,
}

#[contract_type]
pub enum Nothing {}

#[contract_type]
pub enum Numbered {
    One = 1,
    Two,
    Uno = 1,
    Big = 256,
    Sum = 1 + 1,
}

#[contract_type]
pub enum Fields {
    Tuple(u64),
    Empty {},
    Letters { aB: u8 },
    #[codec(index = 7)]
    Seven,
}

#[contract_type]
#[allow(non_camel_case_types)]
pub enum Names {
    BreakGlass,
    Break_Glass,
    Größe,
}

#[contract_type]
pub enum Either<T> {
    Left { value: T },
    Right,
}

#[contract_type]
pub fn function() {}

fn main() {}
