//! Bodies of requests: bounded each, bounded together, and never waited for without end.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use md5::{Digest, Md5};

use super::{ApiError, HttpState, query::HexMd5};
use crate::config;

/// A body of which nothing comes for so long is given up.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Larger bodies are hashed and parsed off the shard.
pub(super) const INLINE_BYTES_MAX: usize = 64 << 10;

/// The bounds, and what is held now.
#[derive(Debug)]
pub(super) struct Bodies {
    /// Of one.
    bytes_max: usize,
    /// Of all.
    in_flight_bytes_max: usize,
    in_flight_bytes: AtomicUsize,
}

impl Bodies {
    /// Nothing is held yet.
    pub(super) fn new(http: &config::Http) -> Self {
        Self {
            bytes_max: http.request_bytes_max,
            in_flight_bytes_max: http.bodies_in_flight_bytes_max,
            in_flight_bytes: AtomicUsize::new(0),
        }
    }

    /// Whether a body that says it has so many bytes may come.
    pub(super) fn accepts(&self, declared_bytes: u64) -> bool {
        declared_bytes <= self.bytes_max as u64
    }
}

/// A body with its place in the node's bound, which is free again when this is dropped.
pub(super) struct HeldBody {
    pub(super) bytes: Bytes,
    held_bytes: usize,
    state: HttpState,
}

impl HeldBody {
    /// No body.
    pub(super) fn none(state: &HttpState) -> Self {
        Self {
            bytes: Bytes::new(),
            held_bytes: 0,
            state: state.clone(),
        }
    }

    /// Reads to the end.
    pub(super) async fn read(state: &HttpState, mut body: Body) -> Result<Self, ApiError> {
        let mut held = Self::none(state);
        let Some(first) = next(&mut body).await? else {
            return Ok(held);
        };
        held.hold(first.len())?;
        if http_body::Body::is_end_stream(&body) {
            held.bytes = first;
            return Ok(held);
        }
        let mut all = BytesMut::from(first);
        while let Some(data) = next(&mut body).await? {
            held.hold(data.len())?;
            all.extend_from_slice(&data);
        }
        held.bytes = all.freeze();
        Ok(held)
    }

    fn hold(&mut self, more_bytes: usize) -> Result<(), ApiError> {
        let bodies = &self.state.bodies;
        let before = bodies
            .in_flight_bytes
            .fetch_add(more_bytes, Ordering::Relaxed);
        self.held_bytes += more_bytes;
        if self.held_bytes > bodies.bytes_max {
            Err(ApiError::BodyTooLarge)
        } else if before + more_bytes > bodies.in_flight_bytes_max {
            Err(ApiError::TooManyBodies)
        } else {
            Ok(())
        }
    }

    /// Of the bytes.
    pub(super) async fn md5(&self) -> Result<HexMd5, ApiError> {
        if self.bytes.len() <= INLINE_BYTES_MAX {
            return Ok(md5(&self.bytes));
        }
        let bytes = self.bytes.clone();
        tokio::task::spawn_blocking(move || md5(&bytes))
            .await
            .map_err(|_| ApiError::Internal)
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        if self.held_bytes > 0 {
            self.state
                .bodies
                .in_flight_bytes
                .fetch_sub(self.held_bytes, Ordering::Relaxed);
        }
    }
}

fn md5(bytes: &[u8]) -> HexMd5 {
    let mut hex = [0; 32];
    // Twice sixteen digits fit.
    let _ = hex::encode_to_slice(Md5::digest(bytes), &mut hex);
    hex
}

/// The next bytes. A timer is made only if they are not there yet.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        let mut frame = pin!(body.frame());
        let now = std::future::poll_fn(|cx| Poll::Ready(frame.as_mut().poll(cx))).await;
        let frame = match now {
            Poll::Ready(frame) => frame,
            // Boxed, so that requests that need no timer carry none.
            Poll::Pending => Box::pin(tokio::time::timeout(STALL_MAX, frame))
                .await
                .map_err(|_| ApiError::BodyTimeout)?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(ApiError::BodyUnreadable),
            // Trailers say nothing to us.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            },
        }
    }
}
