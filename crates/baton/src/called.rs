//! By which name the program was called: under PM2's it behaves as PM2 does.

/// How the program was called: PM2's name changes the home and a few habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledAs {
    /// By its own name.
    Baton,
    /// Through a link named `pm2`.
    Pm2,
}

impl CalledAs {
    /// The name to show in help and hints.
    pub(crate) fn program(self) -> &'static str {
        match self {
            CalledAs::Baton => "baton",
            CalledAs::Pm2 => "pm2",
        }
    }

    /// Where the home is below the user's folder, when nothing names it.
    pub(crate) fn usual_home(self) -> &'static str {
        match self {
            CalledAs::Baton => ".baton",
            CalledAs::Pm2 => ".pm2",
        }
    }

    /// The variable that names the home.
    pub(crate) fn home_variable(self) -> &'static str {
        match self {
            CalledAs::Baton => "BATON_HOME",
            CalledAs::Pm2 => "PM2_HOME",
        }
    }
}
