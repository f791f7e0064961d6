//! A connection's stream as hyper uses it: it marks when bytes flow, puts a problem in the place of hyper's own bare
//! answers, and at its end still reads what the peer sends.
//!
//! Who closes with bytes unread makes the kernel reset the connection, and a reset throws away what the peer has not read
//! yet: the very answer that says why. So after an early refusal the sending side ends alone, and what still comes is thrown
//! away for a while (RFC 9112, section 9.6).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::time::Sleep;

use super::bare;
use super::live::Connection;
use crate::app::App;

/// How long the rest of a refused request is read.
const LINGER: Duration = Duration::from_secs(10);
/// Bytes thrown away at once.
const PIECE: usize = 4 << 10;

/// See the module.
pub(super) struct Watched<IO> {
    io: IO,
    connection: Arc<Connection>,
    /// Whose answers go out instead of bare ones.
    app: Option<App>,
    instead: Option<Instead>,
    lingering: Option<Pin<Box<Sleep>>>,
}

/// An answer on its way in another's place.
struct Instead {
    left: Bytes,
    /// How many bytes are to have been written once it is out.
    written: usize,
}

impl<IO> Watched<IO> {
    /// `app` answers what hyper cannot read; `None` where hyper's own answer is no text.
    pub(super) fn new(io: IO, connection: &Arc<Connection>, app: Option<App>) -> Self {
        Self { io, connection: Arc::clone(connection), app, instead: None, lingering: None }
    }
}

impl<IO: Read + Write + Unpin> Watched<IO> {
    /// Writes what goes out instead of `buf`, if anything does.
    fn poll_instead(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Option<io::Result<usize>>> {
        if self.instead.is_none()
            && let Some(left) = self.app.as_ref().and_then(|app| bare::instead(app, buf))
        {
            self.connection.leaves_unread();
            self.instead = Some(Instead { left, written: buf.len() });
        }
        let Some(instead) = &mut self.instead else { return Poll::Ready(None) };
        while instead.left.has_remaining() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &instead.left)) {
                Ok(0) => return Poll::Ready(Some(Err(io::ErrorKind::WriteZero.into()))),
                Ok(written) => instead.left.advance(written),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let written = instead.written;
        self.instead = None;
        Poll::Ready(Some(Ok(written)))
    }

    /// Throws away what comes until the peer ends too, or for long enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut piece = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, piece.unfilled()));
            if read.is_err() || piece.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl<IO: Read + Unpin> Read for Watched<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            self.connection.received();
        }
        read
    }
}

impl<IO: Read + Write + Unpin> Write for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match ready!(self.poll_instead(cx, buf)) {
            Some(written) => Poll::Ready(written),
            None => Pin::new(&mut self.io).poll_write(cx, buf),
        };
        if written.is_ready() {
            self.connection.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        if self.connection.has_unread() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare answer is one piece.
        if let [buf] = bufs {
            return self.poll_write(cx, buf);
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if written.is_ready() {
            self.connection.sent();
        }
        written
    }
}
