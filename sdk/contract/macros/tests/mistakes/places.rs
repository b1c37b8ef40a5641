#![allow(unused)]

use chancery_contract::{Env, contract, event};

#[contract]
pub struct Above;

pub struct Wrong;

pub trait Reads {
    fn read(env: &Env);
}

#[contract]
impl Reads for Wrong {
    #[view]
    fn read(env: &Env) {}
}

pub struct Generic<T>(T);

#[contract]
impl<T> Generic<T> {
    #[view]
    fn read(env: &Env) {}
}

#[event]
pub struct Done;

#[contract(events = [Done, Done])]
impl Wrong {
    #[view]
    fn twice(env: &Env) {}
}

#[contract(name = "Other")]
impl Wrong {
    #[view]
    fn other(env: &Env) {}
}

#[contract(events = [Done], events = [Done])]
impl Wrong {
    #[view]
    fn lists(env: &Env) {}
}

#[contract(events(Done))]
impl Wrong {
    #[view]
    fn bracketed(env: &Env) {}
}

fn main() {}
