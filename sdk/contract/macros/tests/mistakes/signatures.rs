#![allow(unused)]

use chancery_contract::{Env, contract};

pub struct Wrong;

#[contract]
impl Wrong {
    #[call]
    fn keeps_state(&mut self, step: u64) {}

    #[call]
    fn sees_nothing() {}

    #[view]
    fn env_comes_second(step: u64, env: &Env) {}

    #[view]
    fn writes(env: &mut Env) {}

    #[call]
    fn only_reads(env: &Env) {}

    #[call]
    fn takes_it(env: Env) {}

    #[init]
    fn init(env: &Env) {}

    #[migrate]
    fn migrate(env: &Env, from: &str) {}

    #[call]
    async fn waits(env: &mut Env) {}

    #[call]
    unsafe fn is_dangerous(env: &mut Env) {}

    #[call]
    extern "C" fn exports(env: &mut Env) {}

    #[call]
    fn is_generic<T>(env: &mut Env, value: T) {}

    #[call]
    fn takes_apart(env: &mut Env, (low, high): (u64, u64), _: u8) {}

    #[call]
    fn borrows(env: &mut Env, text: &str) {}

    #[call]
    fn hides(env: &mut Env, text: impl Into<String>) -> impl Into<String> {
        text
    }

    #[view]
    fn lends(env: &Env) -> &str {
        ""
    }

    #[view]
    const fn is_constant(env: &Env) -> u64 {
        1
    }

    #[view]
    fn keeps_env(env: &'static Env) {}

    #[view]
    fn has_two(env: &Env, other: &Env) {}

    #[view]
    fn has_attributes(env: &Env, #[allow(unused)] step: u64) {}
}

fn main() {}
