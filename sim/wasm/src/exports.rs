//! The functions that a JavaScript program calls, and the memory that it shares with them.
//!
//! The program asks for a [`buffer`], writes a name and then contents into it, and calls [`scenario`] or [`replay`] with the
//! length of the name. The buffer then holds the answer, as many bytes as the call has returned.

use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The buffer, `len` bytes long: where it begins. What it held is kept as far as it fits. Every call of this package may move it.
#[expect(unsafe_code, reason = "a function is exported under its own name")]
#[unsafe(no_mangle)]
pub extern "C" fn buffer(len: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(len, 0);
        buffer.as_mut_ptr()
    })
}

/// Runs the scenario in the buffer, whose first `name_len` bytes are its name. The length of the answer, which is in the buffer.
#[expect(unsafe_code, reason = "a function is exported under its own name")]
#[unsafe(no_mangle)]
pub extern "C" fn scenario(name_len: usize) -> usize {
    answered(name_len, |name, contents| match String::from_utf8(contents) {
        Ok(text) => crate::scenario(name, &text),
        Err(_) => format!("{name}: no text\n"),
    })
}

/// Replays the trace in the buffer, whose first `name_len` bytes are its name. The length of the answer, which is in the buffer.
#[expect(unsafe_code, reason = "a function is exported under its own name")]
#[unsafe(no_mangle)]
pub extern "C" fn replay(name_len: usize) -> usize {
    answered(name_len, |name, contents| crate::replay(name, &contents))
}

fn answered(name_len: usize, answer: impl FnOnce(&str, Vec<u8>) -> String) -> usize {
    let mut name = BUFFER.take();
    let contents = name.split_off(name_len.min(name.len()));
    let answer = answer(&String::from_utf8_lossy(&name), contents).into_bytes();
    let len = answer.len();
    BUFFER.set(answer);
    len
}
