//! What can be done with media, and of which kind it is.

use crate::words::words;

words! {
    /// What a caller wants to do with a recording.
    Action {
        /// Have the sound, or what was made from it. HEAD asks for the same as the GET it stands
        /// for.
        Access = "access",
        /// Have what Twilio says about it.
        Describe = "describe",
        /// Give it to a recipient.
        Share = "share",
        /// Delete it at Twilio.
        Delete = "delete",
    }
}

impl Action {
    /// Everything but deletion: what a prohibition means when it does not say.
    pub const USES: [Self; 3] = [Self::Access, Self::Describe, Self::Share];
}

words! {
    /// Of which kind media is. What is derived from a call is never meant by the call's sound.
    Artefact {
        /// The sound of a call.
        Audio = "audio",
        /// Moving pictures of it.
        Video = "video",
        /// A picture or file that came with a message.
        MessageMedia = "message-media",
        /// What was said, in words.
        Transcript = "transcript",
        /// What was said, shortened.
        Summary = "summary",
        /// What a machine concluded from it.
        Analysis = "analysis",
        /// A voice made recognisable.
        Voiceprint = "voiceprint",
    }
}

words! {
    /// Who called whom, seen from the organisation.
    Direction {
        /// Somebody called the organisation.
        Inbound = "inbound",
        /// The organisation called somebody.
        Outbound = "outbound",
        /// Both ends were the organisation's own.
        Internal = "internal",
    }
}
