#![allow(unused)]

use chancery_contract::{Env, Item, contract, contract_error, contract_type, event};

pub struct Plain;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    On,
    Off,
}

#[contract_type]
pub enum Switch {
    Off,
    Turned { to: State },
}

pub struct Wrong;

#[contract(events = [Plain])]
impl Wrong {
    #[call]
    fn takes(env: &mut Env, number: f32, plain: Plain, state: State) {}

    #[view]
    fn returns(env: &Env) -> Plain {
        Plain
    }

    #[call]
    fn emits(env: &mut Env) {
        env.emit(&Plain);
    }
}

const COUNT: Item<u64> = Item::new("count");

pub struct Writes;

#[contract]
impl Writes {
    #[view]
    fn writes(env: &Env) {
        COUNT.set(env, &1);
    }
}

fn main() {}
