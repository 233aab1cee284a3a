# `make install`: programs, the service unit and the documents. Where a unit has to lie does not follow the prefix
# for systemd's own search path, so /usr and /usr/local both give a place that it reads.
include(GNUInstallDirs)

configure_file("${CMAKE_SOURCE_DIR}/cmake/install/condenser.service.in"
  "${CMAKE_BINARY_DIR}/install/condenser.service" @ONLY)

# droplet has to lie beside condenser, which looks for it there.
install(TARGETS raind condenser droplet RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${CMAKE_BINARY_DIR}/install/condenser.service" DESTINATION lib/systemd/system)
install(DIRECTORY "${CMAKE_SOURCE_DIR}/docs/" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES README.md CHANGELOG.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
