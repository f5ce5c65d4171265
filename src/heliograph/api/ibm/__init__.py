"""IBM Push Notifications' API, as its SDKs speak it. See README.md in this folder."""
