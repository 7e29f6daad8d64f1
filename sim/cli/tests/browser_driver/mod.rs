//! Drives a headless Chromium over its debugging pipe: opens a page, points, clicks, types, looks.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How long a browser lives; then it is killed, and the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the first browser there is. It reads commands from descriptor 3 and answers on 4: the shell makes them of
/// the pipes that are its standard input and output, so that no unsafe code is needed.
const START: &str = r#"
for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null; then
        exec "$browser" "$@" 3<&0 4>&1 </dev/null >/dev/null
    fi
done
echo "none of chromium, chromium-browser and google-chrome is installed" >&2
exit 127
"#;

const FLAGS: &[&str] = &[
    "--remote-debugging-pipe",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
];

/// A key as the browser wants it: its name, its code, its number, and what it types.
const KEYS: &[(&str, &str, u32, &str)] = &[
    ("Tab", "Tab", 9, ""),
    ("Enter", "Enter", 13, "\r"),
    ("Escape", "Escape", 27, ""),
    (" ", "Space", 32, " "),
    ("ArrowLeft", "ArrowLeft", 37, ""),
    ("ArrowRight", "ArrowRight", 39, ""),
];

/// A browser with one page. Every method panics where the browser does not do as it is told.
pub(crate) struct Browser {
    child: Arc<Mutex<Child>>,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What the browser said unasked, oldest first.
    events: Vec<Value>,
    last_id: u64,
    session: Option<String>,
    /// Ends the watchdog when it is dropped.
    watchdog: Option<Sender<()>>,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page that is 1200 by 900 pixels.
    pub(crate) fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let complaints =
            File::create(profile.path().join("stderr")).expect("a file for what it complains of");
        let mut command = Command::new("sh");
        command.args(["-c", START, "sh"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints);
        let mut child = command.spawn().expect("sh starts");
        let commands = child.stdin.take().expect("its input is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let child = Arc::new(Mutex::new(child));
        let watchdog = Some(watch(Arc::clone(&child)));
        let (events, session) = (Vec::new(), None);
        let mut browser =
            Browser { child, commands, answers, events, last_id: 0, session, watchdog, profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let asked = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &asked);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.size(1200, 900);
        browser.prefer("light");
        browser
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events.clear();
        let answer = self.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        assert!(answer["errorText"].is_null(), "{}: {answer}", file.display());
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
    }

    /// The value of a JavaScript expression, awaited if it is a promise.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The text of an element.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().expect("a text").to_owned()
    }

    /// Moves the mouse to the middle of an element, after the frames in which the page hears that it is scrolled to.
    #[track_caller]
    pub(crate) fn hover(&mut self, selector: &str) -> (f64, f64) {
        let place = self.evaluate(&format!(
            "(async () => {{ const element = document.querySelector({});
               element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
               for (const frame of [1, 2]) await new Promise(requestAnimationFrame);
               const box = element.getBoundingClientRect();
               return [box.left + box.width / 2, box.top + box.height / 2]; }})()",
            json!(selector)
        ));
        let at = |index: usize| place[index].as_f64().expect("a place");
        let (x, y) = (at(0), at(1));
        self.mouse("mouseMoved", x, y, 0);
        (x, y)
    }

    /// Clicks the middle of an element.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let (x, y) = self.hover(selector);
        self.mouse("mousePressed", x, y, 1);
        self.mouse("mouseReleased", x, y, 1);
    }

    fn mouse(&mut self, kind: &str, x: f64, y: f64, clicks: u32) {
        let button = if clicks == 0 { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": clicks });
        self.call("Input.dispatchMouseEvent", &event);
    }

    /// Presses a key and lets it go.
    #[track_caller]
    pub(crate) fn press(&mut self, key: &str) {
        let known = KEYS.iter().find(|(name, ..)| *name == key);
        let (key, code, number, text) = known.expect("a key that the driver knows");
        let event = |kind: &str, text: &str| {
            json!({
                "type": kind,
                "key": key,
                "code": code,
                "windowsVirtualKeyCode": number,
                "text": text,
            })
        };
        self.call("Input.dispatchKeyEvent", &event("keyDown", text));
        self.call("Input.dispatchKeyEvent", &event("keyUp", ""));
    }

    /// Replaces what an input holds, as typing does.
    #[track_caller]
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({}).select()", json!(selector)));
        if text.is_empty() {
            let delete = json!({ "type": "keyDown", "commands": ["deleteBackward"] });
            self.call("Input.dispatchKeyEvent", &delete);
        } else {
            self.call("Input.insertText", &json!({ "text": text }));
        }
    }

    /// Makes the page so many pixels wide and high.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Says that the reader prefers `light` or `dark`, and nothing that moves.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Writes a picture of the whole page, a PNG.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        let size = self.call("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", &asked);
        let picture = decode_base64(answer["data"].as_str().expect("a picture"));
        std::fs::write(file, picture).expect("the picture's directory is there");
    }

    /// What went wrong in the page since it was opened: exceptions, errors and warnings told to the console, and
    /// requests for anything but the page itself.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What happened before this answer has been told before it.
        self.evaluate("new Promise((done) => setTimeout(done, 0))");
        self.events.iter().filter_map(complaint).collect()
    }

    /// Calls a method of the protocol and gives its result.
    #[track_caller]
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        if let Err(error) = self.send(&message) {
            self.gone(&error.to_string());
        }
        loop {
            let mut answer = self.receive();
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn send(&mut self, message: &Value) -> std::io::Result<()> {
        self.commands.write_all(format!("{message}\0").as_bytes())?;
        self.commands.flush()
    }

    #[track_caller]
    fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        match self.answers.read_until(0, &mut message) {
            Ok(_) if message.pop() == Some(0) => {
                serde_json::from_slice(&message).expect("the browser speaks JSON")
            }
            Ok(_) => self.gone("it closed its pipe"),
            Err(error) => self.gone(&error.to_string()),
        }
    }

    #[track_caller]
    fn gone(&self, why: &str) -> ! {
        let said = std::fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
        // That there is no desktop to talk to is no news.
        let said: Vec<&str> = said.lines().filter(|line| !line.contains("dbus/")).collect();
        let said = said.join("\n");
        panic!("the browser is gone ({why}), or took more than {} seconds: {said}", DEADLINE.as_secs());
    }
}

impl Drop for Browser {
    /// Asks the browser to end, waits until it has let go of its pipe, and makes sure.
    fn drop(&mut self) {
        self.session = None;
        let asked = self.send(&json!({ "id": self.last_id + 1, "method": "Browser.close" }));
        if asked.is_ok() {
            std::io::copy(&mut self.answers, &mut std::io::sink()).ok();
        }
        drop(self.watchdog.take());
        if let Ok(mut child) = self.child.lock() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Kills the browser at the deadline, unless what is returned is dropped before.
fn watch(child: Arc<Mutex<Child>>) -> Sender<()> {
    let (alive, ended) = channel();
    let watchdog = move || {
        if ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout)
            && let Ok(mut child) = child.lock()
        {
            child.kill().ok();
        }
    };
    thread::Builder::new().name("watchdog".into()).spawn(watchdog).expect("a thread");
    alive
}

/// What is wrong with an event, if anything is.
fn complaint(event: &Value) -> Option<String> {
    let told = &event["params"];
    let wrong = match event["method"].as_str()? {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => ["error", "warning", "assert"].iter().any(|kind| told["type"] == *kind),
        "Log.entryAdded" => ["error", "warning"].iter().any(|level| told["entry"]["level"] == *level),
        "Network.requestWillBeSent" => told["request"]["url"] != told["documentURL"],
        _ => false,
    };
    wrong.then(|| event.to_string())
}

fn decode_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sixes = text.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte));
    let sixes: Vec<usize> = sixes.collect();
    let bytes = |four: &[usize]| {
        let bits = four.iter().enumerate().fold(0, |bits, (index, six)| bits | six << (18 - 6 * index));
        let whole = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        whole.into_iter().take(four.len() - 1)
    };
    sixes.chunks(4).flat_map(bytes).collect()
}
