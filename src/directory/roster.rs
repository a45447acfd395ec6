//! The members of one presence channel: distinct users in the order of their first subscription, encoded once each.

use std::collections::{BTreeMap, HashMap};

use crate::{
    directory::Full,
    protocol::{
        channel::ChannelName,
        event::{self, EncodedMember},
        frame::Frame,
        member::{Member, UserId},
    },
};

/// Who is in a presence channel. The version rises with every change that others hear of.
#[derive(Debug, Default)]
pub struct Roster {
    places: HashMap<UserId, u64>,
    seats: BTreeMap<u64, Seat>,
    next: u64,
    version: u64,
    succeeded: Option<Frame>,
    renewed: Option<u64>,
}

/// One user's place in the list.
#[derive(Debug)]
pub struct Seat {
    member: Member,
    encoded: EncodedMember,
    sockets: u32,
}

impl Roster {
    /// Version of the list.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Members in their order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.seats.values().map(|seat| &seat.member)
    }

    /// Counts a socket of the member in; `true` if the user is new. A user already there is let in whatever the limit.
    pub fn enter(&mut self, member: &Member, members_max: usize) -> Result<bool, Full> {
        if let Some(seat) = self.renew(member) {
            seat.sockets += 1;
            return Ok(false);
        }
        if self.seats.len() >= members_max {
            return Err(Full);
        }
        self.places.insert(member.id.clone(), self.next);
        self.seats.insert(
            self.next,
            Seat {
                member: member.clone(),
                encoded: EncodedMember::new(member),
                sockets: 1,
            },
        );
        self.next += 1;
        self.change();
        Ok(true)
    }

    /// A user already there takes the newest info at the old place.
    pub fn renew(&mut self, member: &Member) -> Option<&mut Seat> {
        let place = *self.places.get(&member.id)?;
        let seat = self.seats.get_mut(&place)?;
        // The id stays as it was announced: `1` does not become "1" for those who know it as a number.
        if seat.member.info_json != member.info_json {
            seat.member.info_json.clone_from(&member.info_json);
            self.renewed = Some(place);
        }
        Some(seat)
    }

    /// The user's id as it was announced.
    pub fn announced_id(&self, user: &UserId) -> Option<&str> {
        let seat = self.seats.get(self.places.get(user)?)?;
        Some(&seat.member.id_json)
    }

    /// Counts a socket of the user out; the id as JSON and the new version if it was the last.
    pub fn leave(&mut self, user: &UserId) -> Option<(Box<str>, u64)> {
        let place = *self.places.get(user)?;
        let seat = self.seats.get_mut(&place)?;
        seat.sockets -= 1;
        if seat.sockets > 0 {
            return None;
        }
        self.places.remove(user);
        let seat = self.seats.remove(&place)?;
        self.change();
        Some((seat.member.id_json, self.version))
    }

    /// `subscription_succeeded` with the list, encoded once per change. Who has just renewed a member's info is still shown the old one,
    /// as in Soketi; everybody after that sees the new.
    pub fn succeeded(&mut self, channel: &ChannelName) -> Frame {
        let seats = &self.seats;
        let encode = || {
            event::presence_succeeded(channel.as_str(), seats.values().map(|seat| &seat.encoded))
        };
        let frame = self.succeeded.get_or_insert_with(encode).clone();
        if let Some(seat) = self
            .renewed
            .take()
            .and_then(|place| self.seats.get_mut(&place))
        {
            seat.encoded = EncodedMember::new(&seat.member);
            self.succeeded = None;
        }
        frame
    }

    fn change(&mut self) {
        self.version += 1;
        self.succeeded = None;
    }
}
