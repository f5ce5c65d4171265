"""
What IBM's client SDKs are to an app: a virtual device of IBM Push Notifications.

``device`` has the two skins, ``profiles`` what the SDKs for iOS, Android and the web do
with each answer. Sections (§) are those of the contract of IBM's wire protocol.
"""
