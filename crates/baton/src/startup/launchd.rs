//! launchd: an agent of the user.

use super::{Plan, Service, quoted};
use std::path::Path;

pub(super) fn plan(service: &Service) -> Plan {
    let string = |text: &str| format!("<string>{}</string>", escaped(text));
    let words = [service.program.as_str()].into_iter().chain(service.words()).chain(["--as-service"]);
    let words: String = words.map(|word| format!("\t\t{}\n", string(word))).collect();
    let variables = service.variables();
    let variables: String =
        variables.iter().map(|(name, value)| format!("\t\t<key>{name}</key>\n\t\t{}\n", string(value))).collect();
    let said = string(&format!("{}/service.log", service.home.1));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \t<key>Label</key>\n\
         \t{label}\n\
         \t<key>UserName</key>\n\
         \t{user}\n\
         \t<key>ProgramArguments</key>\n\
         \t<array>\n\
         {words}\
         \t</array>\n\
         \t<key>EnvironmentVariables</key>\n\
         \t<dict>\n\
         {variables}\
         \t</dict>\n\
         \t<key>RunAtLoad</key>\n\
         \t<true/>\n\
         \t<!-- Only a guard that was killed is replaced; its apps are left alone meanwhile. -->\n\
         \t<key>KeepAlive</key>\n\
         \t<dict>\n\
         \t\t<key>SuccessfulExit</key>\n\
         \t\t<false/>\n\
         \t</dict>\n\
         \t<key>AbandonProcessGroup</key>\n\
         \t<true/>\n\
         \t<key>ExitTimeOut</key>\n\
         \t<integer>300</integer>\n\
         \t<key>StandardOutPath</key>\n\
         \t{said}\n\
         \t<key>StandardErrorPath</key>\n\
         \t{said}\n\
         </dict>\n\
         </plist>\n",
        label = string(&service.name),
        user = string(&service.user),
    );
    let path = Path::new(&service.user_home).join("Library/LaunchAgents").join(format!("{}.plist", service.name));
    let shown = quoted(&path.to_string_lossy());
    Plan {
        mode: 0o644,
        text,
        enable: vec![format!("launchctl load -w {shown}")],
        disable: vec![format!("launchctl unload -w {shown}")],
        forget: Vec::new(),
        path,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
