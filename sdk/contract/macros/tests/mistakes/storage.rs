#![allow(unused)]

use chancery_contract::{Env, Item, Map, contract_type};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    number: u64,
}

#[contract_type]
pub struct Sound {
    number: u64,
}

pub enum Side {
    Left,
    Right,
}

const BY_NUMBER: Map<u64, Plain> = Map::new("number/");
const BY_PLAIN: Map<(Plain, u64), Sound> = Map::new("plain/");
const LIST: Item<Vec<Plain>> = Item::new("list");
const SIDE: Item<Side> = Item::new("side");

fn values(env: &mut Env, plain: Plain) {
    BY_NUMBER.get(env, &7);
    BY_NUMBER.set(env, &7, &plain);
    BY_NUMBER.remove(env, &7);
}

fn keys(env: &Env, plain: Plain) {
    BY_PLAIN.get(env, &(plain, 7));
}

fn items(env: &mut Env) {
    LIST.get(env);
    SIDE.set(env, &Side::Left);
}

fn main() {}
