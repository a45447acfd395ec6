//! Signed publishes over HTTP, on connections that are kept or on a new one each.

use crate::{
    client::{Fleet, Heard, Talk},
    wire,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    Kept,
    /// As PHP does: the client closes after the answer.
    NewEach,
}

pub(crate) struct Publisher {
    channel: String,
    data_bytes: usize,
    connections: Connections,
    idle: Vec<usize>,
    /// Connection and the event that it carries.
    busy: Vec<(usize, u32)>,
    finished: Vec<usize>,
    /// The first answer that was not 200, or 0 for a connection that broke.
    pub(crate) refused: Option<u16>,
}

impl Publisher {
    pub(crate) fn new(channel: &str, data_bytes: usize, connections: Connections) -> Self {
        Self {
            channel: channel.to_owned(),
            data_bytes,
            connections,
            idle: Vec::new(),
            busy: Vec::new(),
            finished: Vec::new(),
            refused: None,
        }
    }

    pub(crate) fn publish(&mut self, fleet: &mut Fleet, number: u32) -> anyhow::Result<()> {
        for key in self.finished.drain(..) {
            fleet.hang_up(key);
        }
        let key = match self.idle.pop() {
            Some(key) => key,
            None => fleet.connect(Talk::Http)?,
        };
        self.busy.push((key, number));
        fleet.send(
            key,
            &wire::publish(&self.channel, &wire::data(number, self.data_bytes)),
        )
    }

    /// The number of the event that this answers.
    pub(crate) fn hear(&mut self, key: usize, heard: &Heard<'_>) -> Option<u32> {
        if matches!(heard, Heard::Closed(_)) {
            self.idle.retain(|idle| *idle != key);
            self.finished.retain(|finished| *finished != key);
        }
        let place = self.busy.iter().position(|(busy, _)| *busy == key)?;
        match heard {
            Heard::Response { status, closes } => {
                if *status != 200 {
                    self.refused.get_or_insert(*status);
                }
                match self.connections {
                    Connections::Kept if !closes => self.idle.push(key),
                    _ => self.finished.push(key),
                }
            }
            Heard::Closed(_) => {
                self.refused.get_or_insert(0);
            }
            Heard::Text(_) => return None,
        }
        Some(self.busy.swap_remove(place).1)
    }
}
