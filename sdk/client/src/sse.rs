//! Server-Sent Events as nodes send them (WHATWG HTML, section 9.2), from the bytes of a body. Lines
//! end with a line feed, before which a carriage return may stand.

/// The longest message that is taken: an event's topic and data have at most 64 KiB.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// One message: what stood between two empty lines, if there was an id, data, or a comment, which
/// says that the feed is alive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// The newest cursor, if it has one.
    pub(crate) id: Option<String>,
    /// What it is; empty for an event.
    pub(crate) event: String,
    /// Empty where only the id moves on.
    pub(crate) data: String,
    has_comment: bool,
}

/// Takes bytes and gives messages.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    bytes: Vec<u8>,
    /// The lines of a message that has not ended are before this.
    parsed: usize,
    message: Message,
}

impl Parser {
    /// Takes what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if it is here.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, String> {
        while let Some(length) = self.rest().iter().position(|byte| *byte == b'\n') {
            let line = self.rest()[..length].to_vec();
            self.parsed += length + 1;
            let line = String::from_utf8(line).map_err(|_| "a line is not UTF-8".to_owned())?;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if !line.is_empty() {
                self.field(line);
                continue;
            }
            self.bytes.drain(..self.parsed);
            self.parsed = 0;
            let message = std::mem::take(&mut self.message);
            if message.id.is_some() || !message.data.is_empty() || message.has_comment {
                return Ok(Some(message));
            }
        }
        if self.bytes.len() > MESSAGE_BYTES_MAX {
            return Err(format!(
                "a message is longer than {MESSAGE_BYTES_MAX} bytes"
            ));
        }
        Ok(None)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.parsed..]
    }

    /// Comments have an empty name; other unknown fields are ignored.
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let message = &mut self.message;
        match name {
            "" => message.has_comment = true,
            "id" => message.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut message.event),
            "data" => {
                if !message.data.is_empty() {
                    message.data.push('\n');
                }
                message.data.push_str(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<&str>, event: &str, data: &str) -> Message {
        Message {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
            has_comment: false,
        }
    }

    fn commented(message: Message) -> Message {
        Message {
            has_comment: true,
            ..message
        }
    }

    #[test]
    fn messages_are_the_same_however_the_bytes_are_cut() {
        let text = ": \nid: 7\n\n:\n\nid: 7.0.0\r\ndata: {\"a\":1}\r\n\r\nevent: refused\ndata:x\ndata: é\n\ndata: late";
        let expected = [
            commented(message(Some("7"), "", "")),
            commented(message(None, "", "")),
            message(Some("7.0.0"), "", "{\"a\":1}"),
            message(None, "refused", "x\né"),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut messages = Vec::new();
            for part in text.as_bytes().chunks(size) {
                parser.push(part);
                while let Some(message) = parser.next().expect("a good stream") {
                    messages.push(message);
                }
            }
            assert_eq!(messages, expected, "cut every {size} bytes");
        }
    }

    #[test]
    fn a_message_without_end_and_one_that_is_no_text_are_refused() {
        let mut parser = Parser::default();
        parser.push(&vec![b'x'; MESSAGE_BYTES_MAX]);
        assert_eq!(parser.next(), Ok(None));
        parser.push(b"x");
        assert!(parser.next().is_err());
        // Also where each line ends.
        let mut parser = Parser::default();
        parser.push(&b"data: x\n".repeat(MESSAGE_BYTES_MAX / 8 + 1));
        assert!(parser.next().is_err());
        let mut parser = Parser::default();
        parser.push(b"data: \xff\n");
        assert!(parser.next().is_err());
    }
}
