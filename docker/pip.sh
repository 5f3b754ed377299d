# Sourced by each step that installs: takes pip's settings and certificates from the build's secrets, where given.
if [ -s /run/secrets/pip.conf ]; then
  export PIP_CONFIG_FILE=/run/secrets/pip.conf
fi
if [ -s /run/secrets/ca ]; then
  export PIP_CERT=/run/secrets/ca
fi
