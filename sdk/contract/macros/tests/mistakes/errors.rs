#![allow(unused)]

use chancery_contract::contract_error;

#[contract_error]
pub enum Codes {
    First = 1,
    Same = 1,
    Missing,
    Zero = 0,
    Negative = -1,
    Large = 4_294_967_296,
    Text = "text",
    Fields { why: u32 } = 8,
}

#[contract_error]
pub enum Empty {}

#[contract_error]
pub enum Generic<T> {
    First = 1,
}

#[contract_error(u32)]
pub enum Arguments {
    First = 1,
}

#[contract_error]
pub struct Struct;

fn main() {}
