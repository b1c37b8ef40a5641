//! `cargo run --release -p chancery-model -- [--views V] [--slots S] [--flaw NAME] [--any-order]`

use std::process::ExitCode;
use std::time::Instant;

use chancery_model::model::{Order, Ordering};
use chancery_model::protocol::{Flaw, Rules};
use chancery_model::state::{SLOTS_MAX, VIEWS_MAX};
use stateright::{Checker, Model};

const USAGE: &str =
    "usage: chancery-model [--views 1..4] [--slots 1..3] [--flaw NAME] [--any-order]";

fn main() -> ExitCode {
    let Some(model) = parse(std::env::args().skip(1)) else {
        eprintln!(
            "{USAGE}\nflaws: {}",
            Flaw::ALL.map(|f| f.to_string()).join(", ")
        );
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let checker = model.checker().spawn_bfs().join();
    println!(
        "views {}, slots {}, flaw {}, {:?} order: {} states, {} steps, depth {}, {:.1} s",
        model.rules.views,
        model.rules.slots,
        model.rules.flaw,
        model.order,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
    let discoveries = checker.discoveries();
    let mut wrong = false;
    for property in model.properties() {
        let found = discoveries.get(property.name);
        let fails = property.expectation.discovery_is_failure() == found.is_some();
        wrong |= fails;
        println!(
            "{} {}",
            if fails { "FAILS" } else { "holds" },
            property.name
        );
        if let (true, Some(path)) = (fails, found) {
            path.clone()
                .into_actions()
                .iter()
                .for_each(|action| println!("      {action:?}"));
        }
    }
    ExitCode::from(u8::from(wrong))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Ordering> {
    let mut rules = Rules {
        views: 3,
        slots: 2,
        flaw: Flaw::None,
    };
    let mut order = Order::Reduced;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--views" => rules.views = arguments.next()?.parse().ok()?,
            "--slots" => rules.slots = arguments.next()?.parse().ok()?,
            "--flaw" => {
                let name = arguments.next()?;
                rules.flaw = Flaw::ALL.into_iter().find(|f| f.to_string() == name)?;
            }
            "--any-order" => order = Order::Any,
            _ => return None,
        }
    }
    let bounds = (1..=VIEWS_MAX).contains(&usize::from(rules.views))
        && (1..=SLOTS_MAX).contains(&usize::from(rules.slots));
    bounds.then_some(Ordering { rules, order })
}
