//! What the page after a change tells once. A closed set of words travels in the cookie, so that nobody can make a page
//! tell anything else.

macro_rules! flashes {
    ($($name:ident $word:literal $text:literal,)*) => {
        /// What was done.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Flash { $($name),* }

        impl Flash {
            /// The word in the cookie.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// Parses [`Flash::word`].
            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }

            /// What the person reads.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

flashes! {
    SignedOut "signed-out" "You are signed out.",
    SessionsEnded "sessions-ended" "All your sessions were ended. Sign in again.",
    SessionEnded "session-ended" "The session was ended.",
    PasswordReset "password-reset" "Your password was set. Sign in with it.",
    PasswordChanged "password-changed" "Your password was changed. Other sessions were ended.",
    TwoFactorOff "2fa-off" "Two-factor sign-in is off.",
    CodeTooLate "code-too-late" "That took too long. Enter your password again.",
    MessageSent "message-sent" "The message was accepted. It will not be lost.",
    MessageRetried "message-retried" "What waited or had been given up is tried again now.",
    MessageNotRetried "message-not-retried" "Nothing of this message waits for another attempt, and nothing was given up.",
    MessageCancelled "message-cancelled" "The message was withdrawn.",
    MessageReplayed "message-replayed" "The message is on its way to the destination again.",
    MessageNotReplayed "message-not-replayed" "The destination does not take this message: its topics or clients leave it out, or it has expired.",
    TimeZone "time-zone" "The time zone was saved.",
    UserAdded "user-added" "The user was added and can sign in now.",
    UserChanged "user-changed" "The user was changed. Sessions that this concerns were ended.",
    UserDeleted "user-deleted" "The user was deleted.",
    UserPassword "user-password" "The password was set. The user's sessions were ended.",
    UserTwoFactor "user-2fa" "The second factor was taken away.",
    ClientChanged "client-changed" "The client was changed. It holds from its next request.",
    CertificateRevoked "certificate-revoked" "The certificate was revoked. It is refused from its next request.",
    DomainAdded "domain-added" "The domain was added.",
    DomainChanged "domain-changed" "The rules were saved. Proxies follow within seconds.",
    DestinationChanged "destination-changed" "The destination was changed.",
    DestinationAdded "destination-added" "The destination was added. It takes messages from the next one on.",
    DestinationDeleted "destination-deleted" "The destination was deleted. What it had not taken is with the dead letters.",
    RetentionSet "retention-set" "It was saved.",
    NoticeResolved "notice-resolved" "The notice was resolved.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_tell_nothing() {
        for flash in [Flash::SignedOut, Flash::NoticeResolved] {
            assert_eq!(Flash::parse(flash.word()), Some(flash));
        }
        assert_eq!(Flash::parse("<script>"), None);
    }
}
