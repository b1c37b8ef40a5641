//! What the validators of a cluster say when they are asked.

use serde_json::Value;

use super::Cluster;
use crate::command::eventually;

impl Cluster {
    /// Posts JSON to one validator's API: the HTTP status and the answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn post(&self, index: usize, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.api(index));
        self.block_on(async {
            let request = self.http.post(url).body(body.to_owned());
            let request = request.header("content-type", "application/json");
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            let text = answer.text().await.expect("a body");
            (
                status,
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            )
        })
    }

    /// Gets JSON from one validator's API, whatever the HTTP status; null where nobody answers.
    #[must_use]
    pub fn get(&self, index: usize, path: &str) -> Value {
        let url = format!("{}{path}", self.api(index));
        self.block_on(async {
            let answer = self.http.get(url).send().await.ok()?;
            serde_json::from_slice(&answer.bytes().await.ok()?).ok()
        })
        .unwrap_or_default()
    }

    /// What one validator counts under that name, labels included; none where it does not say.
    #[must_use]
    pub fn metric(&self, index: usize, name: &str) -> Option<u64> {
        let url = format!("{}/metrics", self.api(index));
        let text = self.block_on(async {
            let answer = self.http.get(url).send().await.ok()?;
            answer.text().await.ok()
        })?;
        let mut counted = text.lines().filter_map(|line| line.strip_prefix(name));
        counted.next()?.trim().parse().ok()
    }

    /// How one validator sees the network; null where it does not answer.
    #[must_use]
    pub fn status(&self, index: usize) -> Value {
        self.get(index, "/v1/status")
    }

    /// The newest executed height of one validator; 0 where it does not answer.
    #[must_use]
    pub fn height(&self, index: usize) -> u64 {
        self.status(index)["height"].as_u64().unwrap_or(0)
    }

    /// The newest final height of one validator; 0 where it does not answer.
    #[must_use]
    pub fn final_height(&self, index: usize) -> u64 {
        self.status(index)["final_height"].as_u64().unwrap_or(0)
    }

    /// The view of one validator, if it answers.
    #[must_use]
    pub fn view(&self, index: usize) -> Option<u64> {
        self.status(index)["view"].as_u64()
    }

    /// The primary of the highest view that anybody who answers is in.
    ///
    /// # Panics
    /// If nobody answers.
    #[must_use]
    pub fn primary(&self) -> usize {
        let views = self.all().into_iter().filter_map(|index| self.view(index));
        let view = views.max().expect("somebody answers");
        usize::try_from(view).expect("a small number") % self.count()
    }

    /// Waits until every validator is connected to every other one: one that is ready may still lack
    /// a connection that the quorum needs once another one is away.
    ///
    /// # Panics
    /// If they are not soon.
    pub fn meshed(&self) {
        let others = self.count() as u64 - 1;
        eventually("all are connected to all", 20, || {
            let mut connected = self
                .all()
                .into_iter()
                .map(|index| self.metric(index, "chancery_connected_peers"));
            connected.all(|connected| connected == Some(others))
        });
    }

    /// Waits until these validators call themselves ready.
    ///
    /// # Panics
    /// If they do not.
    pub fn ready(&self, who: &[usize]) {
        for index in who {
            let ready = || self.get(*index, "/health/ready")["ready"] == Value::Bool(true);
            eventually(&format!("validator {index} is ready"), 60, ready);
        }
    }

    /// Waits until these validators have what any of them has now.
    ///
    /// # Panics
    /// If they do not get it.
    pub fn level(&self, who: &[usize]) {
        let heights = who.iter().map(|index| self.final_height(*index));
        let highest = heights.max().unwrap_or(0);
        for index in who {
            let there = || self.final_height(*index) >= highest;
            eventually(&format!("validator {index} has all blocks"), 60, there);
        }
    }

    /// What one validator has said so far.
    #[must_use]
    pub fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.home(index).join("node.log")).unwrap_or_default()
    }
}
